// The host that shows this page, over postMessage: MCP Apps, protocol 2026-01-26.
// The official client carries schema validation of half a megabyte; a view needs only this.

export const PROTOCOL = "2026-01-26";
const METHOD_NOT_FOUND = -32601;

type JsonObject = Record<string, unknown>;

export interface Result {
  readonly isError?: boolean;
  readonly structuredContent?: unknown;
  readonly content?: unknown;
}

export interface Listener {
  input(args: JsonObject): void;
  result(result: Result): void;
  cancelled(): void;
  context(context: JsonObject): void;
  teardown(): void;
}

export class Host {
  capabilities: JsonObject = {};
  private last = 0;
  private readonly waiting = new Map<number, { done: (result: JsonObject) => void; failed: (why: Error) => void }>();
  private readonly onMessage = (event: MessageEvent) => this.handleMessage(event);

  constructor(private readonly parent: Window, private readonly listener: Listener) {
    window.addEventListener("message", this.onMessage);
  }

  /** The handshake: the host describes itself; answers follow as notifications. */
  async connect(name: string, version: string): Promise<void> {
    const result = await this.request("ui/initialize", {
      protocolVersion: PROTOCOL,
      appInfo: { name, version },
      appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
    });
    this.capabilities = object(result.hostCapabilities);
    this.listener.context(object(result.hostContext));
    this.notify("ui/notifications/initialized", {});
  }

  can(capability: "serverTools" | "message" | "updateModelContext"): boolean {
    return this.capabilities[capability] !== undefined;
  }

  /** Call a tool of the server that gave this page. */
  call(name: string, args: JsonObject): Promise<Result> {
    return this.request("tools/call", { name, arguments: args });
  }

  /** Send a message into the conversation in the person's name; whether the host took it. */
  async sendMessage(text: string): Promise<boolean> {
    const result = await this.request("ui/message", { role: "user", content: [{ type: "text", text }] });
    return result.isError !== true;
  }

  /** Let the model know what the page shows now. */
  updateModelContext(structuredContent: JsonObject): void {
    if (!this.can("updateModelContext")) return;
    // A host may decline; nothing here depends on it.
    this.request("ui/update-model-context", { structuredContent }).catch(() => undefined);
  }

  size(width: number, height: number): void {
    this.notify("ui/notifications/size-changed", { width, height });
  }

  end(): void {
    window.removeEventListener("message", this.onMessage);
    for (const each of this.waiting.values()) each.failed(new Error("The page was closed."));
    this.waiting.clear();
  }

  private request(method: string, params: JsonObject): Promise<JsonObject> {
    const id = ++this.last;
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed });
      this.post({ id, method, params });
    });
  }

  private notify(method: string, params: JsonObject): void {
    this.post({ method, params });
  }

  private post(message: JsonObject): void {
    // A sandbox has an opaque origin, so the host's cannot be named; nothing secret is sent.
    this.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
  }

  private handleMessage(event: MessageEvent): void {
    const message = object(event.data);
    if (event.source !== this.parent || message.jsonrpc !== "2.0") return;
    if (typeof message.method !== "string") this.handleResponse(message);
    else if (message.id === undefined) this.handleNotification(message.method, object(message.params));
    else this.handleRequest(message.method, message.id);
  }

  private handleResponse(message: JsonObject): void {
    const waiting = this.waiting.get(Number(message.id));
    if (!waiting) return;
    this.waiting.delete(Number(message.id));
    if (message.error === undefined) waiting.done(object(message.result));
    else waiting.failed(new Error(String(object(message.error).message ?? "The host refused.")));
  }

  private handleNotification(method: string, params: JsonObject): void {
    switch (method) {
      case "ui/notifications/tool-input":
        return this.listener.input(object(params.arguments));
      case "ui/notifications/tool-result":
        return this.listener.result(params);
      case "ui/notifications/tool-cancelled":
        return this.listener.cancelled();
      case "ui/notifications/host-context-changed":
        return this.listener.context(params);
      default:
        return undefined;
    }
  }

  private handleRequest(method: string, id: unknown): void {
    if (method === "ui/resource-teardown") {
      this.post({ id, result: {} });
      this.listener.teardown();
    } else if (method === "ping") {
      this.post({ id, result: {} });
    } else {
      this.post({ id, error: { code: METHOD_NOT_FOUND, message: "Not known here." } });
    }
  }
}

export function object(value: unknown): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}
