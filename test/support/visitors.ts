/**
 * A load on a world of this process: each of them visits again and again, as soon as it has its answer, until what is given
 * back is called, which waits for the answers that are on their way. A visit must not reject. The pause in between leaves
 * the loop, which they share with all parts of the world, to those.
 */
export function visitors(visits: readonly (() => Promise<void>)[], pauseMs = 5): () => Promise<void> {
  let isOver = false;
  const coming = visits.map(async (visit) => {
    while (!isOver) {
      await visit();
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  });
  return async () => {
    isOver = true;
    await Promise.all(coming);
  };
}
