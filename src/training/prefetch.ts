/** @file Work done ahead of time: items are made while earlier ones are used, and come in order. */

/**
 * Items `from` … `to` of `make`, in order, at most `depth` of them under way or waiting.
 * An error comes out at the item that failed. `return()` (leaving a for loop) waits for what is under way.
 */
export async function* prefetch<T>(
  from: number,
  to: number,
  depth: number,
  make: (index: number) => Promise<T>,
): AsyncGenerator<T, void, undefined> {
  const ahead: Promise<T>[] = [];
  let next = from;
  const start = () => {
    while (ahead.length < depth && next <= to) {
      const item = make(next++);
      item.catch(() => {}); // told when its turn comes; until then it is not unhandled
      ahead.push(item);
    }
  };
  try {
    for (let i = from; i <= to; i++) {
      start();
      const item = await ahead.shift()!; // start() has put at least item i there
      start();
      yield item;
    }
  } finally {
    await Promise.allSettled(ahead);
  }
}
