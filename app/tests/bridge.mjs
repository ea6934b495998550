// The host's side of the page, made of the official bridge; bundled into the test host.
import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

window.log = [];
const noted = (kind) => (params) => void window.log.push({ kind, params });

/** Show `html` as a host does; `tell` answers what the page asks. */
window.start = async ({ html, capabilities, context, said, result }) => {
  const frame = document.querySelector("iframe");
  const bridge = new AppBridge(null, { name: "test-host", version: "1" }, capabilities, { hostContext: context });
  window.bridge = bridge;
  bridge.addEventListener("sizechange", (params) => {
    noted("size")(params);
    if (params.height) frame.style.height = `${params.height}px`;
  });
  bridge.oncalltool = async (params) => {
    noted("call")(params);
    return window.tell(params);
  };
  bridge.onmessage = async (params) => (noted("message")(params), {});
  bridge.onupdatemodelcontext = async (params) => (noted("look")(params), {});
  const begun = new Promise((done) => bridge.addEventListener("initialized", done));
  frame.srcdoc = html;
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
  await begun;
  noted("initialized")(bridge.getAppVersion());
  if (said) await bridge.sendToolInput({ arguments: said });
  if (result) await bridge.sendToolResult(result);
};
