import { expect, test } from "vitest";
import { readCells, readSheet } from "./csv";

test("quotes, separators and line ends", () => {
  expect(readCells('a;"b;""c"""\r\n\n"d\ne";f')).toEqual([
    { line: 1, cells: ["a", 'b;"c"'] },
    { line: 3, cells: ["d\ne", "f"] },
  ]);
  expect(readCells("\ufeffphone\tname\n1\t2")[0]!.cells).toEqual(["phone", "name"]);
});

test("named columns, attributes with the type of the whole column", () => {
  const { rows, hasPhones } = readSheet("Telefone,Nome,E-mail,plan,visits,code,vip\n+12125550100,Ana,ana@example.com,gold,3,007,true\n+12125550101,,,,12,,");
  expect(hasPhones).toBe(true);
  expect(rows).toEqual([
    { line: 2, contact: { phone: "+12125550100", firstName: "Ana", email: "ana@example.com", attributes: { plan: "gold", visits: 3, code: "007", vip: true } } },
    { line: 3, contact: { phone: "+12125550101", attributes: { visits: 12 } } },
  ]);
});

test("without names the phone is found, and names follow", () => {
  expect(readSheet("+1 212 555 0100, Ana, Silva\n+1 212 555 0101").rows.map(({ contact }) => contact)).toEqual([
    { phone: "+1 212 555 0100", firstName: "Ana", lastName: "Silva" },
    { phone: "+1 212 555 0101" },
  ]);
  expect(readSheet("name,plan\nAna,gold").hasPhones).toBe(false);
  expect(readSheet("  \n").rows).toEqual([]);
});
