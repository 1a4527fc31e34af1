import { MassiveSMS } from "@massivesms/node";

const client = new MassiveSMS();
const contact = await client.contacts.create({
  phone: "+14155550125",
  first_name: "Maria",
  email: "maria@example.com",
  opt_in: { source: "checkout", ip: "203.0.113.4", text: "Text me about Cohort 06.", version: "2026-04" },
  attributes: { tier: "vip" },
  on_conflict: "update",
});
console.log(contact.id, contact.opt_in.status);
for await (const entry of client.contacts.listConsent(contact.id)) {
  console.log(entry.created_at, entry.status);
}
