// What changed between two versions of a model's SQL. Loaded on demand.

import { sql, StandardSQL } from '@codemirror/lang-sql';
import { unifiedMergeView } from '@codemirror/merge';
import { EditorState } from '@codemirror/state';
import { EditorView, lineNumbers } from '@codemirror/view';
import { useEffect, useRef } from 'react';
import { cspNonce } from '../lib/nonce';
import { sqlLook } from './sqlLook';

export default function SqlDiff({ before, after, label }: { before: string; after: string; label: string }) {
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!frame.current) return;
    const view = new EditorView({
      parent: frame.current,
      state: EditorState.create({
        doc: after,
        extensions: [
          EditorView.cspNonce.of(cspNonce),
          lineNumbers(),
          sql({ dialect: StandardSQL }),
          EditorState.readOnly.of(true),
          EditorView.contentAttributes.of({ 'aria-label': label }),
          EditorView.lineWrapping,
          unifiedMergeView({ original: before, mergeControls: false, gutter: true }),
          sqlLook(80),
        ],
      }),
    });
    return () => view.destroy();
  }, [before, after, label]);
  return <div ref={frame} />;
}
