// Entry of every page. Pages are complete without it; it draws charts, keeps them live, saves page loads, and adds what
// makes daily use quick: search, keys, sorting, downloads, local times.

import "uplot/dist/uPlot.min.css";
import "./style.css";
import "./verdicts.css";
import "./home.css";
import "./channel.css";
import "./pipeline.css";
import "./compare.css";
import "./everywhere.css";
import { startComputed } from "./computed";
import { startFind } from "./find";
import { startKeys } from "./keys";
import { startLazyParts } from "./lazy";
import { startMakeForm } from "./make";
import { startTheme } from "./theme";
import { startUpkeep } from "./upkeep";
import { startViews } from "./view";
import { startZone } from "./zone";

document.documentElement.classList.add("scripted");
startTheme();
startZone();
startFind();
startKeys();
startMakeForm();
startComputed();
startUpkeep();
startViews();
startLazyParts();
