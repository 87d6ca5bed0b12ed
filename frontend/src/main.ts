// Entry of every page. Pages are complete without it; it draws charts, keeps them live and saves page loads.

import "uplot/dist/uPlot.min.css";
import "./style.css";
import "./verdicts.css";
import "./home.css";
import "./channel.css";
import "./pipeline.css";
import "./compare.css";
import { addCopyButtons } from "./copy";
import { startLazyParts } from "./lazy";
import { startMakeForm } from "./make";
import { startTheme } from "./theme";
import { startViews } from "./view";

document.documentElement.classList.add("scripted");
startTheme();
addCopyButtons(document);
startMakeForm();
startViews();
startLazyParts();
