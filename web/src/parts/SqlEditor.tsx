// The SQL editor: completion of streams, columns and functions; problems underlined where they are.
// Loaded on demand by LazySqlEditor; everything of CodeMirror is behind this module and SqlDiff.

import { autocompletion, closeBrackets, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { sql, StandardSQL } from '@codemirror/lang-sql';
import { bracketMatching, indentOnInput } from '@codemirror/language';
import { lintGutter, setDiagnostics } from '@codemirror/lint';
import { Compartment, EditorState, Prec } from '@codemirror/state';
import { drawSelection, EditorView, keymap, lineNumbers, placeholder } from '@codemirror/view';
import { useEffect, useRef } from 'react';
import type { ProblemAt } from '../api/types';
import { cspNonce } from '../lib/nonce';
import { quoteName, quotePath, rangeOf } from '../lib/sql';
import type { SqlEditorProps, Vocabulary } from './sqlEditorProps';
import { sqlLook } from './sqlLook';

function complete(vocabulary: () => Vocabulary) {
  return (context: CompletionContext): CompletionResult | null => {
    const { streams, functions } = vocabulary();
    const inPath = context.matchBefore(/'[^'\n]*$/);
    if (inPath) {
      return {
        from: inPath.from,
        options: streams.map((stream) => ({
          label: quotePath(stream.path),
          displayLabel: stream.name,
          detail: stream.format,
          type: 'class',
        })),
      };
    }
    const word = context.matchBefore(/[\p{L}_][\p{L}\p{N}_]*$/u);
    if (!word && !context.explicit) return null;
    const text = context.state.doc.toString();
    const named = streams.filter((stream) => text.includes(stream.path));
    const columns = (named.length > 0 ? named : streams).flatMap((stream) =>
      stream.columns.map((column) => ({
        label: column.name,
        apply: quoteName(column.name),
        detail: column.type,
        type: 'property',
        boost: 2,
      })),
    );
    const unique = [...new Map(columns.map((column) => [column.label, column])).values()];
    return {
      from: word?.from ?? context.pos,
      options: [
        ...unique,
        ...streams.map((stream) => ({
          label: stream.name,
          apply: quotePath(stream.path),
          detail: `${stream.format} stream`,
          type: 'class',
          boost: 1,
        })),
        ...functions.map((name) => ({ label: name, apply: `${name}(`, type: 'function' })),
      ],
      validFor: /^[\p{L}\p{N}_]*$/u,
    };
  };
}

function diagnostics(text: string, problems: ProblemAt[]) {
  return problems
    .filter((problem) => problem.line !== undefined)
    .map((problem) => ({ ...rangeOf(text, problem), severity: 'error' as const, message: problem.detail }));
}

export default function SqlEditor(props: SqlEditorProps) {
  const { value, label, problems, readOnly = false, minHeight = 160 } = props;
  const frame = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  // The editor lives longer than a render; its callbacks look here for the latest props.
  const latest = useRef(props);
  useEffect(() => {
    latest.current = props;
  });

  useEffect(() => {
    if (!frame.current) return;
    const language = StandardSQL;
    const editor = new EditorView({
      parent: frame.current,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          EditorView.cspNonce.of(cspNonce),
          Prec.highest(
            keymap.of([
              {
                key: 'Mod-Enter',
                run: () => {
                  latest.current.onRun?.();
                  return true;
                },
              },
            ]),
          ),
          history(),
          lineNumbers(),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          lintGutter(),
          sql({ dialect: language, upperCaseKeywords: true }),
          language.language.data.of({ autocomplete: complete(() => latest.current.vocabulary) }),
          autocompletion({ icons: false }),
          placeholder('SELECT …'),
          keymap.of([...defaultKeymap, ...historyKeymap]),
          new Compartment().of(EditorState.readOnly.of(readOnly)),
          EditorView.contentAttributes.of({ 'aria-label': label }),
          EditorView.lineWrapping,
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange?.(update.state.doc.toString());
          }),
          sqlLook(minHeight),
        ],
      }),
    });
    view.current = editor;
    return () => {
      editor.destroy();
      view.current = null;
    };
  }, [label, readOnly, minHeight]);

  useEffect(() => {
    const editor = view.current;
    const text = editor?.state.doc.toString();
    if (editor && text !== value) {
      editor.dispatch({ changes: { from: 0, to: text?.length ?? 0, insert: value } });
    }
  }, [value]);

  useEffect(() => {
    const editor = view.current;
    if (editor) editor.dispatch(setDiagnostics(editor.state, diagnostics(editor.state.doc.toString(), problems)));
  }, [problems]);

  return <div ref={frame} data-sql-editor />;
}
