// The host we are shown in, spoken to over postMessage: MCP Apps, protocol 2026-01-26.
// The official client carries schema validation of half a megabyte; what a view needs is this.

export const PROTOCOL = "2026-01-26";
const METHOD_NOT_FOUND = -32601;

type Said = Record<string, unknown>;

export interface Result {
  readonly isError?: boolean;
  readonly structuredContent?: unknown;
  readonly content?: unknown;
}

export interface Listener {
  input(said: Said): void;
  result(result: Result): void;
  cancelled(): void;
  context(context: Said): void;
  teardown(): void;
}

export class Host {
  capabilities: Said = {};
  private last = 0;
  private readonly waiting = new Map<number, { done: (result: Said) => void; failed: (why: Error) => void }>();
  private readonly hear = (event: MessageEvent) => this.heard(event);

  constructor(private readonly parent: Window, private readonly listener: Listener) {
    window.addEventListener("message", this.hear);
  }

  /** The handshake; what the host tells about itself comes first, answers follow. */
  async begin(name: string, version: string): Promise<void> {
    const told = await this.ask("ui/initialize", {
      protocolVersion: PROTOCOL,
      appInfo: { name, version },
      appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
    });
    this.capabilities = object(told.hostCapabilities);
    this.listener.context(object(told.hostContext));
    this.tell("ui/notifications/initialized", {});
  }

  can(capability: "serverTools" | "message" | "updateModelContext"): boolean {
    return this.capabilities[capability] !== undefined;
  }

  /** Call a tool of the server that gave this page. */
  call(name: string, said: Said): Promise<Result> {
    return this.ask("tools/call", { name, arguments: said });
  }

  /** Say something in the conversation, as the person would. */
  async say(words: string): Promise<boolean> {
    const told = await this.ask("ui/message", { role: "user", content: [{ type: "text", text: words }] });
    return told.isError !== true;
  }

  /** Let the model know what is looked at now. */
  look(structuredContent: Said): void {
    if (!this.can("updateModelContext")) return;
    // A host may decline; nothing here depends on it.
    this.ask("ui/update-model-context", { structuredContent }).catch(() => undefined);
  }

  size(width: number, height: number): void {
    this.tell("ui/notifications/size-changed", { width, height });
  }

  end(): void {
    window.removeEventListener("message", this.hear);
    for (const each of this.waiting.values()) each.failed(new Error("The page was closed."));
    this.waiting.clear();
  }

  private ask(method: string, params: Said): Promise<Said> {
    const id = ++this.last;
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed });
      this.post({ id, method, params });
    });
  }

  private tell(method: string, params: Said): void {
    this.post({ method, params });
  }

  private post(message: Said): void {
    // A sandbox has an opaque origin, so the host's cannot be named; nothing secret is sent.
    this.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
  }

  private heard(event: MessageEvent): void {
    const message = object(event.data);
    if (event.source !== this.parent || message.jsonrpc !== "2.0") return;
    if (typeof message.method !== "string") this.answered(message);
    else if (message.id === undefined) this.told(message.method, object(message.params));
    else this.asked(message.method, message.id);
  }

  private answered(message: Said): void {
    const waiting = this.waiting.get(Number(message.id));
    if (!waiting) return;
    this.waiting.delete(Number(message.id));
    if (message.error === undefined) waiting.done(object(message.result));
    else waiting.failed(new Error(String(object(message.error).message ?? "The host refused.")));
  }

  private told(method: string, params: Said): void {
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

  private asked(method: string, id: unknown): void {
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

export function object(value: unknown): Said {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Said) : {};
}
