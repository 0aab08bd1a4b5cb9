// The SQL editor, loaded when a page with one is opened; its place is held meanwhile.

import { lazy, Suspense } from 'react';
import type { SqlEditorProps } from './sqlEditorProps';

const SqlEditor = lazy(() => import('./SqlEditor'));

export function LazySqlEditor(props: SqlEditorProps) {
  return (
    <div style={{ minHeight: (props.minHeight ?? 160) + 2 }}>
      <Suspense fallback={<pre className="card mono">{props.value}</pre>}>
        <SqlEditor {...props} />
      </Suspense>
    </div>
  );
}
