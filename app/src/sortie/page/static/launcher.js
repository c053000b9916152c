// The launcher: search, categories, favourites, recents, launches.

import * as account from "./account.js";
import { startIcons } from "./icons.js";
import { startKeys } from "./keys.js";
import { startLaunches } from "./launches.js";
import { startPalette } from "./palette.js";
import * as preferences from "./preferences.js";
import { startSearch } from "./search.js";
import { startShelves } from "./shelves.js";
import * as theme from "./theme.js";

theme.start();
startIcons();
const shelves = startShelves();
startSearch();
startLaunches((id) => shelves.opened(id));
startPalette();
startKeys();
const user = await account.start();
await preferences.follow(user);
theme.show();
shelves.refresh();
