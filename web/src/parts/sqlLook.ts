// Colours and sizes of the SQL editor, by the tokens of the look.

import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import type { Extension } from '@codemirror/state';
import { EditorView } from '@codemirror/view';
import { tags } from '@lezer/highlight';

const highlight = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--accent)', fontWeight: '500' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--running)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--warn)' },
  { tag: tags.comment, color: 'var(--muted)', fontStyle: 'italic' },
]);

export function sqlLook(minHeight: number): Extension {
  return [
    syntaxHighlighting(highlight),
    EditorView.theme({
      '&': {
        border: '1px solid var(--line-strong)',
        borderRadius: '8px',
        background: 'var(--surface)',
        color: 'var(--text)',
        fontSize: '13px',
        overflow: 'hidden',
      },
      '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-1px' },
      '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '20px', minHeight: `${minHeight}px`, maxHeight: '480px' },
      '.cm-content': { padding: '12px 0', caretColor: 'var(--text)' },
      '.cm-gutters': { background: 'transparent', border: '0', color: 'var(--muted)' },
      '.cm-cursor': { borderLeftColor: 'var(--text)' },
      '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
        background: 'var(--accent-soft)',
      },
      '.cm-placeholder': { color: 'var(--muted)' },
      '.cm-matchingBracket': { background: 'var(--raised) !important', outline: '1px solid var(--line-strong)' },
      '.cm-tooltip': {
        background: 'var(--surface)',
        border: '1px solid var(--line-strong)',
        borderRadius: '6px',
        color: 'var(--text)',
        overflow: 'hidden',
      },
      '.cm-tooltip-autocomplete > ul > li': { padding: '4px 8px' },
      '.cm-tooltip-autocomplete > ul > li[aria-selected]': { background: 'var(--accent-soft)', color: 'var(--text)' },
      '.cm-completionDetail': { color: 'var(--muted)', fontStyle: 'normal', marginLeft: '12px' },
      '.cm-completionMatchedText': { textDecoration: 'none', fontWeight: '600' },
      '.cm-diagnostic-error': { borderLeft: '3px solid var(--bad)', padding: '6px 12px' },
      '.cm-lintRange-error': {
        backgroundImage: 'none',
        textDecoration: 'underline wavy var(--bad)',
        textUnderlineOffset: '3px',
      },
      '.cm-lint-marker-error': { content: 'none', width: '8px', height: '8px', background: 'var(--bad)', borderRadius: '4px' },
      '.cm-changedLine': { background: 'var(--good-soft) !important' },
      '.cm-changedText': { background: 'var(--accent-soft) !important' },
      '.cm-deletedChunk': { background: 'var(--bad-soft) !important', paddingLeft: '6px' },
      '.cm-deletedChunk .cm-deletedText': { background: 'transparent', textDecoration: 'line-through' },
    }),
  ];
}
