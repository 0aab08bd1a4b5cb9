export { Account } from './Account';
export { AboutPage } from './AboutPage';
export { Alerts } from './Alerts';
export { Audit } from './Audit';
export { SettingsHome } from './Frame';
export { Tokens } from './Tokens';
export { Users } from './Users';
