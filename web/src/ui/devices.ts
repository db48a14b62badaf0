// The devices of this number: which there are, removing one, and a code for another.
import type { Catalogue } from "../core/locale/mod.ts";
import type { Api, Device, OtherDevice } from "../net/api.ts";
import { open } from "./dialogs.ts";
import { h, setChildren, setText } from "./dom.ts";
import { qrCode } from "./qr.ts";

export async function openDevices(t: Catalogue, api: Api, device: Device): Promise<void> {
  const list = h("ul", { class: "devices" });
  const message = h("p", { class: "message", role: "alert" });
  const code = h("div", { class: "link-code", role: "status" });
  const fail = () => setText(message, t.actionFailed);
  const load = async () => setChildren(list, (await api.devices(device)).map(row));
  const row = (other: OtherDevice) => {
    const own = other.id === device.id;
    const remove = h("button", { class: "quiet small", type: "button", "aria-label": t.removeDevice(other.name) }, t.remove);
    remove.addEventListener("click", () => void api.forget(device, other.id).then(load).catch(fail));
    const state = own ? t.thisDevice : other.connected ? t.online : t.notConnected;
    return h("li", {}, h("span", {}, other.name), h("span", { class: "hint" }, state), !own && remove);
  };
  const add = h("button", { class: "quiet", type: "button" }, t.addDevice);
  const offer = async () => {
    const link = `${api.node}client/#enrol=${await api.invite(device)}`;
    code.replaceChildren(h("p", {}, link), qrCode(link, t.linkAsQr));
  };
  add.addEventListener("click", () => void offer().catch(fail));
  void load().catch(fail);
  await open(t.devices, t, [list, add, h("p", { class: "hint" }, t.addDeviceHint), code, message], []);
}
