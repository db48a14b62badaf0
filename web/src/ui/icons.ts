// Line icons of 24 × 24, drawn in the current colour.

const PATHS = {
  camera: "M3 7.5A1.5 1.5 0 0 1 4.5 6h9A1.5 1.5 0 0 1 15 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 3 16.5zM15 10.5l6-3.5v10l-6-3.5",
  screen: "M3 5.5A1.5 1.5 0 0 1 4.5 4h15A1.5 1.5 0 0 1 21 5.5v9a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 14.5zM8.5 20h7M12 16v4",
  microphone: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21",
  files: "M6 3.5h8l4.5 4.5v11A1.5 1.5 0 0 1 17 20.5H7A1.5 1.5 0 0 1 5.5 19V5A1.5 1.5 0 0 1 7 3.5M13.5 3.5V8.5h5M12 17.5v-6M9.5 13.5 12 11l2.5 2.5",
  folder: "M3 6.5A1.5 1.5 0 0 1 4.5 5H9l2 2.5h8.5A1.5 1.5 0 0 1 21 9v8.5a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 17.5z",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
  send: "M4 12 20 4.5 16 20l-4-6.5zM12 13.5 20 4.5",
  incoming: "M18 6 7 17M7 9v8h8",
  outgoing: "M6 18 17 7M9 7h8v8",
  missed: "M4 7l7 7 9-9M14.5 5H20v5.5",
  card: "M3 6.5A1.5 1.5 0 0 1 4.5 5h15A1.5 1.5 0 0 1 21 6.5v11a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 17.5zM8.5 8.5a2 2 0 1 1 0 4 2 2 0 0 1 0-4M5.5 16c.5-1.5 1.5-2 3-2s2.5.5 3 2M14.5 10h4M14.5 13.5h4",
  shield: "M12 3.5 19 6v5.5c0 4.5-3 7.5-7 9-4-1.5-7-4.5-7-9V6zM9 12l2.2 2.2L15.2 10",
  picture: "M3.5 5.5h17v13h-17zM12.5 12h6v4.5h-6z",
  expand: "M4 9V4h5M20 15v5h-5M15 4h5v5M9 20H4v-5",
  pause: "M8.5 6v12M15.5 6v12",
  play: "M8 5.5v13l10-6.5z",
  close: "M6 6l12 12M18 6 6 18",
  save: "M12 4v11M7.5 10.5 12 15l4.5-4.5M5 19.5h14",
  back: "M14.5 5.5 8 12l6.5 6.5",
  guest: "M9 4.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7M2.5 20c.5-4 3-6 6.5-6s6 2 6.5 6M18.5 8.5v6M15.5 11.5h6",
  phone: "M6.5 3.5h3l1.5 4-2 1.5a11 11 0 0 0 6 6l1.5-2 4 1.5v3a2 2 0 0 1-2 2A15.5 15.5 0 0 1 4.5 5.5a2 2 0 0 1 2-2z",
};

export type IconName = keyof typeof PATHS;

const SVG = "http://www.w3.org/2000/svg";

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
