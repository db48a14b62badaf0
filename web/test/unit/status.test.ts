// The state of a connection in words.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Session } from "../../src/app/session.ts";
import { en } from "../../src/core/locale/en.ts";
import type { RelayFailure } from "../../src/media/link.ts";
import { mediaStatus } from "../../src/ui/status.ts";

test("the secret is blamed only where the relay does not know the credential", () => {
  const words = (relayFailure: RelayFailure) => mediaStatus([{ state: "connecting", relayFailure } as Session], en)?.text ?? "";
  assert.match(words({ refused: 401 }), /401.*secret/);
  assert.match(words({ refused: 486 }), /refuses this device \(486\)/);
  assert.doesNotMatch(words({ refused: 486 }), /secret/);
  assert.match(words("unreachable"), /cannot be reached/);
});
