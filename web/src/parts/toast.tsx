// A word on what was just done, for a few seconds and for screen readers.

import { useSyncExternalStore } from 'react';
import { Icon } from './Icon';
import styles from './toast.module.css';

interface Toast {
  id: number;
  words: string;
}

let toasts: Toast[] = [];
let next = 0;
const listeners = new Set<() => void>();

function set(changed: Toast[]) {
  toasts = changed;
  listeners.forEach((told) => told());
}

/** Shows the words for four seconds. */
export function tell(words: string): void {
  next += 1;
  const id = next;
  set([...toasts.slice(-2), { id, words }]);
  setTimeout(() => set(toasts.filter((toast) => toast.id !== id)), 4000);
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
};

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div className={styles.toasts} role="status" aria-live="polite">
      {shown.map((toast) => (
        <div key={toast.id} className={styles.toast}>
          <Icon name="check" size={14} />
          {toast.words}
        </div>
      ))}
    </div>
  );
}
