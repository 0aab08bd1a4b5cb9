// What state something is in: a shape and a word, and then a colour.

import type { RunStatus, SyncState } from '../api/types';
import styles from './State.module.css';

type Tone = 'good' | 'warn' | 'bad' | 'running' | 'quiet';
type Shape = 'full' | 'half' | 'cross' | 'ring' | 'play' | 'square' | 'clock' | 'dash';
export type AnyState = SyncState | RunStatus | 'draft' | 'ready' | 'paused' | 'unchecked' | 'connected' | 'active' | 'disabled' | 'expired';

const looks: Record<AnyState, [Tone, Shape]> = {
  healthy: ['good', 'full'],
  succeeded: ['good', 'full'],
  connected: ['good', 'full'],
  active: ['good', 'full'],
  ready: ['good', 'full'],
  unchanged: ['good', 'dash'],
  partial: ['warn', 'half'],
  late: ['warn', 'clock'],
  failed: ['bad', 'cross'],
  stopped: ['bad', 'square'],
  expired: ['bad', 'cross'],
  running: ['running', 'play'],
  off: ['quiet', 'ring'],
  paused: ['quiet', 'ring'],
  new: ['quiet', 'ring'],
  draft: ['quiet', 'ring'],
  unchecked: ['quiet', 'ring'],
  disabled: ['quiet', 'ring'],
  cancelled: ['quiet', 'square'],
};

const words: Partial<Record<AnyState, string>> = { unchecked: 'not checked' };

export function StateShape({ state }: { state: AnyState }) {
  const [tone, shape] = looks[state] ?? ['quiet', 'ring'];
  return (
    <svg className={`${styles.shape} ${styles[tone]}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      {shape === 'full' && <circle cx="6" cy="6" r="4.5" fill="currentColor" />}
      {shape === 'half' && (
        <>
          <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" strokeWidth="1.5" />
          <path d="M6 2a4 4 0 0 0 0 8z" fill="currentColor" />
        </>
      )}
      {shape === 'cross' && <path d="M2.5 2.5l7 7M9.5 2.5l-7 7" stroke="currentColor" strokeWidth="2" fill="none" />}
      {shape === 'ring' && <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" strokeWidth="1.5" strokeDasharray="2 1.5" />}
      {shape === 'play' && <path d="M3 1.5l7.5 4.5L3 10.5z" fill="currentColor" />}
      {shape === 'square' && <rect x="2" y="2" width="8" height="8" rx="1" fill="currentColor" />}
      {shape === 'dash' && <rect x="1.5" y="4.8" width="9" height="2.4" rx="1" fill="currentColor" />}
      {shape === 'clock' && (
        <path d="M6 1.8a4.2 4.2 0 1 1 0 8.4 4.2 4.2 0 0 1 0-8.4zM6 3.8V6l1.6 1.2" fill="none" stroke="currentColor" strokeWidth="1.5" />
      )}
    </svg>
  );
}

export function State({ state }: { state: AnyState }) {
  const [tone] = looks[state] ?? ['quiet'];
  return (
    <span className={`${styles.state} ${styles[tone]}`}>
      <StateShape state={state} />
      {words[state] ?? state}
    </span>
  );
}
