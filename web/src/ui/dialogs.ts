// Questions and explanations in front of the page.
import type { Catalogue } from "../core/locale/mod.ts";
import { h } from "./dom.ts";

/** Shows a dialog until it is closed, and gives the focus back. The value is that of the button that closed it. */
export function open(title: string, t: Catalogue, body: readonly Node[], buttons: readonly HTMLButtonElement[]): Promise<string> {
  const id = "dialog-title";
  const dialog = h("dialog", { "aria-labelledby": id }, h("h2", { id }, title), ...body);
  const close = h("button", { class: "quiet", type: "button", value: "" }, buttons.length === 0 ? t.close : t.cancel);
  const row = h("div", { class: "answers" }, close, ...buttons);
  dialog.append(row);
  for (const button of row.querySelectorAll("button")) button.addEventListener("click", () => dialog.close(button.value));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close(""));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

/** Whether the person agrees. */
export async function confirm(title: string, text: string, go: string, t: Catalogue): Promise<boolean> {
  const button = h("button", { class: "primary", type: "button", value: "go" }, go);
  return (await open(title, t, [h("p", {}, text)], [button])) === "go";
}
