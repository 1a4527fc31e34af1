import { MassiveSMS } from "@massivesms/node";

const client = new MassiveSMS();
// All pages, each when it is reached.
for await (const message of client.messages.list({ status: "delivered", limit: 100 })) {
  console.log(message.id, message.to);
}

const page = await client.contacts.list({ limit: 2 }); // One page.
console.log(page.data.length, page.has_more);
