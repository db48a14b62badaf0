// Durations, sizes and numbers as people read them.

/** `1:05`, `1:02:03` from milliseconds. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** `12.3 MB`, in the locale's digits. */
export function size(bytes: number, locale: string): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toLocaleString(locale, { maximumFractionDigits: digits })} ${UNITS[unit]}`;
}

/** `1001` for `1001;phone-context=pbx.example`; `+1 212 555 0100` for a North American number. */
export function phone(number: string): string {
  const local = number.split(";")[0]!;
  const american = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(local);
  return american === null ? local : `+1 ${american[1]} ${american[2]} ${american[3]}`;
}

/** Whether a host of a URL is the machine itself. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** `*7433 123 456` for `*7433123456`: the feature code, and the six digits as people read them out. */
export function dialled(digits: string): string {
  return `${digits.slice(0, -6)} ${digits.slice(-6, -3)} ${digits.slice(-3)}`;
}
