// What the SQL editor is given; apart from it, so that pages can name the types without loading the editor.

import type { ProblemAt, SourceStream } from '../api/types';

export interface Vocabulary {
  streams: SourceStream[];
  functions: string[];
}

export interface SqlEditorProps {
  value: string;
  label: string;
  vocabulary: Vocabulary;
  problems: ProblemAt[];
  onChange?: (value: string) => void;
  onRun?: () => void;
  readOnly?: boolean;
  minHeight?: number;
}
