// A notification of the system. Where there is none, nothing happens: a notice never stops what it is about.

/** Shows a notification by the service worker, as Android wants it, or by the page. */
export async function notify(title: string, options: NotificationOptions): Promise<void> {
  const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  try {
    const registration = await workers?.getRegistration();
    if (registration === undefined) throw new Error("no service worker");
    await registration.showNotification(title, options);
  } catch {
    byPage(title, options);
  }
}

function byPage(title: string, options: NotificationOptions): void {
  try {
    const notification = new Notification(title, options);
    notification.onclick = () => {
      window.focus();
      notification.close();
    };
  } catch {
    // This browser shows notifications of service workers alone.
  }
}
