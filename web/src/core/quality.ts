// How good a connection is, from what the browser measures.

export interface Sample {
  readonly relayed: boolean;
  /** Seconds there and back. */
  readonly roundTrip: number;
  /** Of the packets of the last interval, how many were lost: 0 to 1. */
  readonly loss: number;
}

export type Quality = "good" | "slow" | "lossy";

export function quality(sample: Sample): Quality {
  if (sample.loss > 0.05) return "lossy";
  return sample.roundTrip > 0.4 ? "slow" : "good";
}

interface Report {
  readonly [key: string]: unknown;
}

/** What the statistics of a connection say since the last time. */
export function sample(reports: readonly Report[], before: Counters): { sample: Sample | undefined; counters: Counters } {
  const byId = new Map(reports.map((report) => [report["id"], report]));
  const transport = reports.find((report) => report["type"] === "transport");
  const pair =
    byId.get(transport?.["selectedCandidatePairId"]) ??
    reports.find((report) => report["type"] === "candidate-pair" && report["nominated"] === true);
  const inbound = reports.filter((report) => report["type"] === "inbound-rtp");
  const sum = (key: string) => inbound.reduce((total, report) => total + number(report[key]), 0);
  const counters = { lost: sum("packetsLost"), received: sum("packetsReceived") };
  if (pair === undefined) return { sample: undefined, counters };
  const ends = [byId.get(pair["localCandidateId"]), byId.get(pair["remoteCandidateId"])];
  const lost = Math.max(0, counters.lost - before.lost);
  const received = Math.max(0, counters.received - before.received);
  return {
    sample: {
      relayed: ends.some((candidate) => candidate?.["candidateType"] === "relay"),
      roundTrip: number(pair["currentRoundTripTime"]),
      loss: lost + received < 20 ? 0 : lost / (lost + received),
    },
    counters,
  };
}

export interface Counters {
  readonly lost: number;
  readonly received: number;
}

function number(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}
