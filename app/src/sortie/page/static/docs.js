import * as account from "./account.js";
import { startIcons } from "./icons.js";
import * as theme from "./theme.js";

theme.start();
startIcons();
account.start();
