// Reads rows that were pasted, or the text of a CSV file: quotes, and comma, semicolon or tab between cells.
import type { CreateContactInput } from "@/gql/graphql";

export const MAX_ROWS = 500;

type Known = "phone" | "firstName" | "lastName" | "email" | "externalId" | "timezone";

// Names of columns in the three languages, without case, accents and what is no letter.
const NAMES: Record<string, Known> = Object.fromEntries(
  (
    [
      ["phone", "phone phonenumber mobile mobilephone cell cellphone number telefone celular telefono movil numero msisdn"],
      ["firstName", "firstname name givenname nome primeironome nombre primernombre"],
      ["lastName", "lastname surname familyname sobrenome apellido apellidos"],
      ["email", "email mail emailaddress correo correoelectronico"],
      ["externalId", "externalid id customerid idexterno"],
      ["timezone", "timezone fusohorario zonahoraria"],
    ] as const
  ).flatMap(([known, names]) => names.split(" ").map((name) => [name, known])),
);

const plain = (header: string) =>
  header
    .normalize("NFD")
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "");
const isPhone = (cell: string) => /^\+?[\d\s().-]{7,20}$/.test(cell) && cell.replace(/\D/g, "").length >= 7;

function separatorOf(text: string): string {
  const line = text.split(/\r?\n/, 1)[0] ?? "";
  const counts = ["\t", ";", ","].map((each) => ({ each, count: line.split(each).length }));
  return counts.reduce((best, next) => (next.count > best.count ? next : best)).each;
}

/** Return the cells of each row that has any, with the line where it begins, from 1. */
export function readCells(given: string): { line: number; cells: string[] }[] {
  const text = given.replace(/^\ufeff/, "");
  const separator = separatorOf(text);
  const rows: { line: number; cells: string[] }[] = [];
  let cells: string[] = [];
  let cell = "";
  let isQuoted = false;
  let line = 1;
  let begun = 1;
  const end = () => {
    cells.push(cell.trim());
    cell = "";
  };
  const endRow = () => {
    end();
    if (cells.some(Boolean)) rows.push({ line: begun, cells });
    cells = [];
  };
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (isQuoted) {
      if (char === '"' && text[at + 1] === '"') cell += text[++at];
      else if (char === '"') isQuoted = false;
      else {
        if (char === "\n") line++;
        cell += char;
      }
    } else if (char === '"' && cell.trim() === "") {
      isQuoted = true;
      cell = "";
    } else if (char === separator) end();
    else if (char === "\n") {
      endRow();
      begun = ++line;
    } else if (char !== "\r") cell += char;
  }
  endRow();
  return rows;
}

export interface Sheet {
  /** Of each column: the field it fills, or the attribute; null where it has no name. */
  columns: { header: string; known: Known | null }[];
  rows: { line: number; contact: CreateContactInput }[];
  /** Whether a column holds phones. */
  hasPhones: boolean;
}

const isNumber = (cell: string) => cell === "" || String(Number(cell)) === cell;
const isTruth = (cell: string) => cell === "" || cell === "true" || cell === "false";

/** Return contacts: columns by their names, those of no known name as attributes; without names, the phones and then names. */
export function readSheet(text: string): Sheet {
  const rows = readCells(text);
  const [first] = rows;
  if (first === undefined) return { columns: [], rows: [], hasPhones: false };
  const isNamed = !first.cells.some(isPhone);
  const body = isNamed ? rows.slice(1) : rows;
  const taken = new Set<Known>();
  const take = (known: Known | undefined): Known | null => {
    if (known === undefined || taken.has(known)) return null;
    taken.add(known);
    return known;
  };
  const phoneAt = first.cells.findIndex(isPhone);
  const rest: Known[] = ["firstName", "lastName"];
  const columns = first.cells.map((cell, index) => {
    if (isNamed) return { header: cell, known: take(NAMES[plain(cell)]) };
    if (index === phoneAt) return { header: "", known: take("phone") };
    if (cell.includes("@")) return { header: "", known: take("email") };
    return { header: "", known: take(rest.shift()) };
  });
  const readers = columns.map((_column, index) => {
    const cells = body.map((row) => row.cells[index] ?? "");
    if (cells.every(isTruth)) return (cell: string) => cell === "true";
    return cells.every(isNumber) ? Number : String;
  });
  const contacts = body.map(({ line, cells }) => {
    const contact: CreateContactInput = { phone: "" };
    const attributes: Record<string, unknown> = {};
    columns.forEach(({ header, known }, index) => {
      const cell = cells[index] ?? "";
      if (cell === "") return;
      if (known !== null) contact[known] = cell;
      else if (header !== "") attributes[header] = readers[index]!(cell);
    });
    if (Object.keys(attributes).length > 0) contact.attributes = attributes;
    return { line, contact };
  });
  return { columns, rows: contacts, hasPhones: taken.has("phone") };
}
