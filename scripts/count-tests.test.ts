/** @file The line that closes a check: tests are counted, and nothing that went wrong counts as passed. */
import { expect, test } from "vitest";
import { count, summary } from "./count-tests.mjs";

const file = (status: string, ...statuses: string[]) => ({
  name: "a.test.ts",
  status,
  message: status === "failed" ? "cannot find ./b.js\n  at …" : "",
  assertionResults: statuses.map((s, i) => ({ fullName: `test ${i + 1}`, status: s })),
});

test("passed, failed and skipped tests are counted", () => {
  const report = {
    success: false,
    testResults: [file("failed", "passed", "failed", "skipped"), file("passed", "passed", "todo")],
  };
  expect(count(report)).toEqual({ passed: 2, failed: 1, skipped: 2, failures: ["a.test.ts: test 2"] });
});

test("a file that does not load counts as one failure", () => {
  expect(count({ success: false, testResults: [file("failed"), file("passed", "passed")] })).toEqual({
    passed: 1,
    failed: 1,
    skipped: 0,
    failures: ["a.test.ts: cannot find ./b.js"],
  });
});

test("an error outside of every test counts, too", () => {
  expect(count({ success: false, testResults: [file("passed", "passed")] }).failed).toBe(1);
});

test("the line has a word on skipped tests only where there are some", () => {
  expect(summary({ passed: 212, failed: 0, skipped: 0 })).toBe("212 passed, 0 failed");
  expect(summary({ passed: 212, failed: 1, skipped: 3 })).toBe("212 passed, 1 failed, 3 skipped");
});
