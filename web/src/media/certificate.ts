// The certificate by which this device is known in one call, and its fingerprint.
import { fingerprintsIn } from "../core/verify.ts";

export interface Identity {
  readonly certificate: RTCCertificate;
  readonly fingerprint: string;
}

export function newCertificate(): Promise<RTCCertificate> {
  return RTCPeerConnection.generateCertificate({ name: "ECDSA", namedCurve: "P-256" } as EcKeyGenParams);
}

/** Every browser writes the fingerprint into an offer; not every one tells it otherwise. */
export async function identityOf(certificate: RTCCertificate): Promise<Identity> {
  const connection = new RTCPeerConnection({ certificates: [certificate] });
  try {
    connection.createDataChannel("");
    const offer = await connection.createOffer();
    const fingerprint = fingerprintsIn(offer.sdp ?? "")[0];
    if (fingerprint === undefined) throw new Error("an offer without a SHA-256 fingerprint");
    return { certificate, fingerprint };
  } finally {
    connection.close();
  }
}
