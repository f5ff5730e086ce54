import { execFileSync } from "node:child_process";
import { afterAll, describe, expect, test } from "vitest";
import { DataError, InternalError, RuntimeError } from "../../common/errors.js";
import { nodeThreads } from "./workers.js";

const module = new URL("../../../fixtures/threads/echo.js", import.meta.url);
const thread = nodeThreads.start(module);
afterAll(() => thread.close());

test("a thread answers with cloned values and moved buffers", async () => {
  expect(await thread.call({ type: "echo", value: { a: [1, "two"] } })).toEqual({
    echo: { a: [1, "two"] },
    bytes: Uint8Array.of(1, 2, 3),
  });
});

test("it has the platform of the machine", async () => {
  expect(await thread.call({ type: "platform" })).toBe("file");
});

test("answers arrive at the calls that asked", async () => {
  const answers = await Promise.all([1, 2, 3].map((value) => thread.call({ type: "echo", value })));
  expect(answers).toMatchObject([{ echo: 1 }, { echo: 2 }, { echo: 3 }]);
});

test("it goes on while the calling thread is blocked, over shared memory", async () => {
  await thread.call({ type: "echo" }); // it has started
  const memory = new Int32Array(new SharedArrayBuffer(4));
  const answer = thread.call({ type: "wake", memory });
  expect(Atomics.wait(memory, 0, 0, 20_000)).toMatch(/^(ok|not-equal)$/); // woken by the thread, or it was faster
  await answer;
});

describe("errors", () => {
  test("ours arrive as the same class with the same message", async () => {
    const error = await thread.call({ type: "ours" }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DataError);
    expect(error).toMatchObject({
      code: "data",
      where: "frame 3",
      message: "frame 3: is odd\n  expected even\n  hint     add one",
    });
  });

  test("others arrive as internal ones, and the thread goes on", async () => {
    const error = await thread.call({ type: "theirs" }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InternalError);
    expect(String(error)).toContain("a thread failed: TypeError: x is not a function");
    expect(thread.alive).toBe(true);
  });

  test("a thread that ends fails the calls under way and those after", async () => {
    const mortal = nodeThreads.start(module);
    const calls = [mortal.call({ type: "end" }), mortal.call({ type: "echo" })];
    for (const call of calls) await expect(call).rejects.toThrow(new RuntimeError("thread", { problem: "has ended" }));
    expect(mortal.alive).toBe(false);
    await expect(mortal.call({ type: "echo" })).rejects.toThrow("thread: has ended");
  });

  test("a module that does not exist", async () => {
    const none = nodeThreads.start(new URL("./no-such-module.js", import.meta.url));
    await expect(none.call({ type: "echo" })).rejects.toThrow(/^thread: stopped: Cannot find module/);
  });
});

test("an idle thread does not keep the process alive, a call under way does", () => {
  const code = `
    import { nodeThreads } from ${JSON.stringify(new URL("./workers.ts", import.meta.url).href)};
    const thread = nodeThreads.start(new URL(${JSON.stringify(module.href)}));
    thread.call({ type: "echo", value: 7 }).then(({ echo }) => console.log(echo));
  `;
  const out = execFileSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", code], {
    timeout: 60_000,
  });
  expect(out.toString()).toBe("7\n");
});
