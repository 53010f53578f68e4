import { render } from "preact";
import { App } from "./ui/App";
import "./ui/styles/base.css";
import "./ui/styles/parts.css";
import "./ui/styles/signin.css";
import "./ui/styles/list.css";
import "./ui/styles/chat.css";

render(<App />, document.getElementById("app")!);
