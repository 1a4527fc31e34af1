import { MassiveSMS } from "@massivesms/node";

const client = new MassiveSMS();
const list = await client.lists.create({ name: "Cohort 06: open cart" });
await client.contacts.importBatch({
  contacts: [
    { phone: "+14155550123", first_name: "Maria" },
    { phone: "+14155550124", first_name: "Ana" },
  ],
  list_id: list.id,
  opt_in: { source: "webinar sign-up" },
});
const campaign = await client.campaigns.create({
  name: "Cohort 06: cart close 4h",
  body: "Hey {firstName|there}, Cohort 06 closes tonight at 8pm ET.",
  audience: { list_ids: [list.id] },
  scheduled_at: new Date(Date.now() + 4 * 3_600_000),
});
console.log(campaign.id, campaign.status);
