// What is measured: two pages that accept everything, and the real node that SIDECALL names.
import { type Browser } from "playwright-core";
import { launch, Someone } from "../browser/people.ts";
import { Program } from "../double/program.ts";

export const [ALICE, BOB] = ["+12125550100", "+13105552001"];

export class Setting {
  readonly browser: Browser;
  readonly program: Program;

  private constructor(browser: Browser, program: Program) {
    this.browser = browser;
    this.program = program;
  }

  static async start(): Promise<Setting> {
    const binary = process.env["SIDECALL"];
    if (!binary) throw new Error("SIDECALL must name the binary of the node, best a release build");
    const program = new Program();
    await program.start(binary);
    return new Setting(await launch(), program);
  }

  /** Alice and Bob, each with a page. */
  async people(): Promise<readonly [Someone, Someone]> {
    const alice = await Someone.enrol(this.browser, this.program, ALICE, "Alice Archer");
    const bob = await Someone.enrol(this.browser, this.program, BOB, "Bob Baker");
    await alice.acceptsEverything();
    await bob.acceptsEverything();
    return [alice, bob];
  }

  async stop(): Promise<void> {
    await this.browser.close();
    await this.program.stop();
  }
}

/** Of the values, in order, the one below which this share of them is. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}
