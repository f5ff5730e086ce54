/** @file Counts a vitest JSON report into one line, "212 passed, 0 failed, 3 skipped"; names what failed; ends with 1 if anything did. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * @typedef {{ fullName: string, status: string }} Assertion
 * @typedef {{ name: string, status: string, message?: string, assertionResults: Assertion[] }} FileResult
 * @typedef {{ success: boolean, testResults: FileResult[] }} Report
 */

/**
 * @param {Report} report of vitest's json reporter
 * @returns {{ passed: number, failed: number, skipped: number, failures: string[] }}
 */
export function count(report) {
  let [passed, skipped] = [0, 0];
  /** @type {string[]} */
  const failures = [];
  for (const file of report.testResults) {
    let failedHere = 0;
    for (const { status, fullName } of file.assertionResults) {
      if (status === "passed") passed++;
      else if (status === "failed") {
        failedHere++;
        failures.push(`${file.name}: ${fullName}`);
      } else skipped++;
    }
    // A file that does not even load has no tests to fail.
    if (file.status === "failed" && failedHere === 0) {
      failures.push(`${file.name}: ${file.message?.split("\n")[0] || "could not run"}`);
    }
  }
  // An error outside of any test, such as a rejection that nobody awaits.
  if (!report.success && failures.length === 0) failures.push("an error outside of the tests (see above)");
  return { passed, failed: failures.length, skipped, failures };
}

/** The line itself, with a word on skipped tests only where there are some. */
export const summary = (
  /** @type {{ passed: number, failed: number, skipped: number }} */ { passed, failed, skipped },
) => `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    const result = count(JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")));
    for (const failure of result.failures) console.log(`FAILED: ${failure}`);
    console.log(summary(result));
    if (result.failed > 0) process.exitCode = 1;
  } catch {
    console.log("FAILED: the tests left no report (they did not start, or were killed)");
    console.log("0 passed, 1 failed");
    process.exitCode = 1;
  }
}
