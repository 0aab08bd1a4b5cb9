// The keys that work on every page.
// Not here: what they do (shell/Shell).

export type Shortcut =
  | { kind: 'palette' }
  | { kind: 'search' }
  | { kind: 'go'; to: string }
  | { kind: 'help' };

const places: Record<string, string> = {
  h: '/',
  s: '/sources',
  m: '/models',
  d: '/destinations',
  y: '/syncs',
  ',': '/settings',
};

const patience = 1200;

/** The key of the system's own commands, as people know it. */
export const modifier = typeof navigator !== 'undefined' && /Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘' : 'Ctrl';

export interface Press {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  /** Whether the key goes into a field. */
  typing: boolean;
  at: number;
}

/** Understands single keys and `g` followed by another. */
export class Keys {
  #pending = -Infinity;

  press(press: Press): Shortcut | null {
    const command = press.ctrlKey || press.metaKey;
    if (command && !press.altKey && press.key.toLowerCase() === 'k') return { kind: 'palette' };
    if (press.typing || command || press.altKey) return null;
    const started = press.at - this.#pending < patience;
    this.#pending = -Infinity;
    if (started) {
      const to = places[press.key.toLowerCase()];
      if (to) return { kind: 'go', to };
    }
    if (press.key === 'g') this.#pending = press.at;
    if (press.key === '/') return { kind: 'search' };
    if (press.key === '?') return { kind: 'help' };
    return null;
  }
}

/** Whether keys pressed here are meant as text. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.closest('input,textarea,select,[role="textbox"]') !== null);
}
