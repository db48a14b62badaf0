// The catalogue of texts, and which language is used.
import { de } from "./de.ts";
import { en } from "./en.ts";

type Text<T> = T extends (...values: infer V) => string ? (...values: V) => string : string;

/** Every text of the page, by key. */
export type Catalogue = { readonly [K in keyof typeof en]: Text<(typeof en)[K]> };

export type Language = "en" | "de";

const CATALOGUES: Record<Language, Catalogue> = { en, de };

export function catalogue(language: Language): Catalogue {
  return CATALOGUES[language];
}

/** The chosen language, or the first of the browser's that there is. */
export function pick(chosen: Language | "auto", browser: readonly string[]): Language {
  if (chosen !== "auto") return chosen;
  const known = browser.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => tag === "en" || tag === "de");
  return known === "de" ? "de" : "en";
}
