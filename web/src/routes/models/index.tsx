export { ModelList } from './ModelList';
export { ModelPage, NewModel } from './ModelEditor';
