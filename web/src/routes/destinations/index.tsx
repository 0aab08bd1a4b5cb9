export { DestinationList } from './DestinationList';
export { DestinationPage, NewDestination } from './DestinationEditor';
