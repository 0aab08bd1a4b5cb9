export { SyncList } from './SyncList';
export { SyncPage } from './SyncPage';
export { EditSync, NewSync } from './SyncEditor';
