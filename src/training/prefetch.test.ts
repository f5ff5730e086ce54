import { expect, test } from "vitest";
import { prefetch } from "./prefetch.js";

test("items come in order, however long each takes, with no more ahead than asked for", async () => {
  let [begun, used] = [0, 0];
  const seen: number[] = [];
  const items = prefetch(3, 9, 2, async (i) => {
    begun++;
    expect(begun - used).toBeLessThanOrEqual(3); // the one in use, and two ahead
    await new Promise((done) => setTimeout(done, (7 * i) % 5));
    return i;
  });
  for await (const i of items) {
    seen.push(i);
    used++;
  }
  expect(seen).toEqual([3, 4, 5, 6, 7, 8, 9]);
});

test("the next item is under way while one is used", async () => {
  const begun: number[] = [];
  const items = prefetch(0, 5, 1, async (i) => begun.push(i));
  await items.next();
  expect(begun).toEqual([0, 1]);
  await items.return();
});

test("an error comes at the item that failed, after those before it", async () => {
  const items = prefetch(0, 5, 3, async (i) => {
    if (i === 1) throw new Error("item 1");
    return i;
  });
  expect((await items.next()).value).toBe(0);
  await expect(items.next()).rejects.toThrow("item 1");
});

test("none of none", async () => {
  expect((await prefetch(0, -1, 2, async (i) => i).next()).done).toBe(true);
});
