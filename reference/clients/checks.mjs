// A list of checks, and what check_clients.py tells.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export const told = JSON.parse(readFileSync(process.argv[2], "utf8"));

/** The answer of `qvl run` to the question of that name. */
export const right = (name) => told[name].answer;

export const bytes = (path) => readFileSync(path);

export const dataUrl = (path) => `data:image/png;base64,${bytes(path).toString("base64")}`;

/** Runs the functions, a line each, and ends the process with 1 if one threw. */
export async function runAll(checks) {
  let failures = 0;
  for (const [what, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok   ${what}`);
    } catch (error) {
      failures += 1;
      console.log(`FAIL ${what}`);
      console.log(error);
    }
  }
  console.log(`failures: ${failures}`);
  process.exitCode = failures > 0 ? 1 : 0;
}

export { assert };
