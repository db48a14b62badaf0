// A QR code as a picture, for the camera of another device.
import { encode } from "uqr";

const SVG = "http://www.w3.org/2000/svg";
/** Modules that stay light around it (ISO/IEC 18004, section 6.3.8). */
const QUIET = 4;

/** Always dark on light: not every camera reads the opposite. */
export function qrCode(text: string, label: string): SVGSVGElement {
  const { data, size } = encode(text, { border: QUIET });
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ class: "qr", viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label })) {
    svg.setAttribute(name, value);
  }
  const modules = document.createElementNS(SVG, "path");
  const at = (row: readonly boolean[], y: number) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")).join("");
  modules.setAttribute("d", data.map(at).join(""));
  svg.append(modules);
  return svg;
}
