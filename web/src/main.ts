// Starts the client: one tab at a time, with the code of a link if there is one. Or starts the page of a guest.
import { catalogue, pick } from "./core/locale/mod.ts";
import { Api } from "./net/api.ts";
import { loadPreferences, Storage } from "./net/storage.ts";
import { App } from "./ui/app.ts";
import { h, setChildren } from "./ui/dom.ts";
import { GuestPage } from "./ui/guestpage.ts";

const LOCK = "sidecall";

/** Guests join at NODE/j. */
const guest = document.body.dataset["page"] === "guest";
/** The client's page is NODE/client/, so the node is one level up. */
const node = new URL(guest ? "./" : "../", location.href.replace(/[?#].*$/, "")).href;
const root = document.getElementById("app")!;

/** The code of `#enrol=CODE`. It does not stay in the address or the history. */
function codeOfLink(): string {
  const code = new URLSearchParams(location.hash.slice(1)).get("enrol") ?? "";
  if (code !== "") history.replaceState(null, "", location.pathname);
  return code.slice(0, 64);
}

async function run(steal: boolean): Promise<void> {
  const code = codeOfLink();
  const locks = navigator.locks as LockManager | undefined;
  if (locks === undefined) {
    new App(root, new Api(node), new Storage()).start(code);
    return;
  }
  let app: App | undefined;
  await locks
    .request(LOCK, steal ? { steal } : { ifAvailable: true }, async (lock) => {
      if (lock === null) return;
      app = new App(root, new Api(node), new Storage());
      app.start(code);
      await new Promise(() => undefined);
    })
    .catch(() => app?.stop());
  elsewhere(app === undefined ? code : "");
}

/** Another tab has the client. A code that nobody has used yet stays with this one. */
function elsewhere(code: string): void {
  const t = catalogue(pick(loadPreferences().language, navigator.languages));
  const address = code === "" ? "?here" : `?here#enrol=${encodeURIComponent(code)}`;
  const use = h("button", { class: "primary", type: "button", on: { click: () => location.assign(address) } }, t.elsewhereGo);
  setChildren(root, [h("main", { class: "sign-in" }, h("h1", {}, t.elsewhereTitle), h("p", { class: "lead" }, t.elsewhereText), use)]);
}

if (guest) {
  new GuestPage(root, new Api(node)).start();
} else {
  const here = new URLSearchParams(location.search).has("here");
  if (here) history.replaceState(null, "", location.pathname + location.hash);
  void run(here);
  if ("serviceWorker" in navigator && isSecureContext) void navigator.serviceWorker.register("worker.js").catch(() => undefined);
}
