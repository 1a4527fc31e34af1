// One request of the GraphQL API over HTTP, by the id of a document that the server keeps.
import { Kind, type OperationDefinitionNode } from "@0no-co/graphql.web";
import type { DocumentNode } from "graphql";
import { sentOf } from "./document";
import { OFFLINE, type ErrorEntry, type Problem } from "./problems";

export interface Answer {
  data?: unknown;
  errors?: ErrorEntry[];
}

/** No answer, or none that can be read. */
export class NoAnswer extends Error {
  problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

export function nameOf(document: unknown): string {
  const { definitions } = document as DocumentNode;
  const found = definitions.find((each) => (each.kind as string) === Kind.OPERATION_DEFINITION);
  return (found as unknown as OperationDefinitionNode).name!.value;
}

export async function post(
  document: unknown,
  variables: unknown,
  { headers = {}, signal }: { headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch("/graphql", {
      method: "POST",
      credentials: "same-origin",
      cache: "no-store",
      headers: { "Content-Type": "application/json", Accept: "application/json", ...headers },
      body: JSON.stringify(sentOf(nameOf(document), variables)),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new NoAnswer(OFFLINE);
  }
  const requestId = response.headers.get("x-request-id") ?? undefined;
  let answer: Answer & { error?: { code: string; message: string } };
  try {
    answer = (await response.json()) as typeof answer;
  } catch {
    throw new NoAnswer({ ...OFFLINE, kind: "server", code: `http_${response.status}`, requestId });
  }
  if (answer.error !== undefined) {
    const { code, message } = answer.error;
    return { data: null, errors: [{ message, extensions: { code, requestId } }] };
  }
  return answer;
}
