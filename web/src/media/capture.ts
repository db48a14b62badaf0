// Camera, screen and microphone of this machine.
import type { Source } from "../core/signal.ts";

export type CaptureFailure = "denied" | "absent" | "busy";

export class CaptureError extends Error {
  readonly failure: CaptureFailure;
  constructor(failure: CaptureFailure) {
    super(failure);
    this.failure = failure;
  }
}

const HINT: Record<Source, string> = { camera: "motion", screen: "detail", microphone: "speech" };

/** Opens a source; `device` is the id of a camera or microphone, or empty for the browser's choice. */
export async function capture(source: Source, device: string): Promise<MediaStreamTrack> {
  const stream = await open(source, device).catch((error: unknown) => {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError" || name === "SecurityError") throw new CaptureError("denied");
    throw new CaptureError(name === "NotReadableError" || name === "AbortError" ? "busy" : "absent");
  });
  const track = stream.getTracks()[0];
  if (track === undefined) throw new CaptureError("absent");
  track.contentHint = HINT[source];
  return track;
}

function open(source: Source, device: string): Promise<MediaStream> {
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (devices === undefined) return Promise.reject(new DOMException("no secure context", "NotFoundError"));
  const chosen = device === "" ? {} : { deviceId: { ideal: device } };
  switch (source) {
    case "camera":
      return devices.getUserMedia({
        video: { ...chosen, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
      });
    case "microphone":
      return devices.getUserMedia({
        audio: { ...chosen, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      });
    case "screen":
      return devices.getDisplayMedia({ video: { frameRate: { ideal: 15, max: 30 } }, audio: false });
  }
}

export interface MediaDevice {
  readonly id: string;
  readonly label: string;
}

/** The cameras or microphones. Without permission, they have no labels. */
export async function devices(kind: "videoinput" | "audioinput"): Promise<MediaDevice[]> {
  const found = await (navigator.mediaDevices as MediaDevices | undefined)?.enumerateDevices().catch(() => []);
  const named = (found ?? []).filter((device) => device.kind === kind && device.deviceId !== "");
  return named.map((device) => ({ id: device.deviceId, label: device.label }));
}

/** Whether this browser can show a screen at all; phones cannot. */
export function canShareScreen(): boolean {
  return typeof (navigator.mediaDevices as MediaDevices | undefined)?.getDisplayMedia === "function";
}
