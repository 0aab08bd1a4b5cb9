export { SourceList } from './SourceList';
export { SourcePage } from './SourcePage';
export { EditSource, NewSource } from './SourceEditor';
