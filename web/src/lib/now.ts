// One clock for the whole page, so that relative times change together.

import { useSyncExternalStore } from 'react';

function every(milliseconds: number) {
  let now = Date.now();
  let timer: ReturnType<typeof setInterval> | undefined;
  const listeners = new Set<() => void>();
  const subscribe = (listener: () => void) => {
    listeners.add(listener);
    now = Date.now();
    timer ??= setInterval(() => {
      now = Date.now();
      listeners.forEach((told) => told());
    }, milliseconds);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    };
  };
  return { subscribe, read: () => now };
}

const slow = every(15_000);
const fast = every(1_000);

/** The time, renewed every 15 seconds, or every second. */
export function useNow(rate: 'slow' | 'fast' = 'slow'): number {
  const clock = rate === 'slow' ? slow : fast;
  return useSyncExternalStore(clock.subscribe, clock.read);
}
