import java.util.List;
import java.util.Map;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.ContactsApi;
import org.openapitools.client.api.ContactsApi.APICreateContactRequest;
import org.openapitools.client.api.ContactsApi.APIListContactsRequest;
import org.openapitools.client.api.MessagesApi;
import org.openapitools.client.api.WebhooksApi;
import org.openapitools.client.model.Contact;
import org.openapitools.client.model.ContactCreate;
import org.openapitools.client.model.ContactCreateAttributesValue;
import org.openapitools.client.model.Message;
import org.openapitools.client.model.MessageCreate;
import org.openapitools.client.model.Webhook;
import org.openapitools.client.model.WebhookCreate;

/** Sends a message, creates a webhook and finds a contact through openapi-generator's client: Run BASE_URL. */
public class Run {
  public static void main(String[] args) throws ApiException {
    // Java's HttpClient offers an upgrade to HTTP/2 with each request on plain HTTP.
    ApiClient client = new ApiClient();
    client.updateBaseUri(args[0]);
    client.setRequestInterceptor(
        request -> request.header("Authorization", "Bearer " + System.getenv("API_KEY")));

    MessagesApi messages = new MessagesApi(client);
    Message sent = messages.createMessage(new MessageCreate().to("+12125550167").body("Doors open."), null);
    check(messages.retrieveMessage(sent.getId()).getBody().equals("Doors open."), sent);

    WebhooksApi webhooks = new WebhooksApi(client);
    WebhookCreate wanted =
        new WebhookCreate()
            .url(java.net.URI.create("https://api.cohortlabs.co/webhooks/sms"))
            .events(List.of(WebhookCreate.EventsEnum.MESSAGE_DELIVERED));
    Webhook webhook = webhooks.createWebhook(wanted, null);
    check(webhook.getSecret().startsWith("whsec_"), webhook);
    webhooks.deleteWebhook(webhook.getId(), null);

    ContactsApi contacts = new ContactsApi(client);
    ContactCreate person = new ContactCreate().phone("+12125550170");
    person.putAttributesItem("plan & tier", new ContactCreateAttributesValue("silver+"));
    Contact made = contacts.createContact(APICreateContactRequest.newBuilder().contactCreate(person).build());
    Map<String, String> attributes = Map.of("plan & tier", "silver+");
    List<Contact> found =
        contacts.listContacts(APIListContactsRequest.newBuilder().attributes(attributes).build()).getData();
    check(found.size() == 1 && found.get(0).getId().equals(made.getId()), found);
    contacts.deleteContact(made.getId(), null);

    try {
      messages.createMessage(new MessageCreate().to("+1abc").body("Doors open."), null);
      throw new AssertionError("not refused");
    } catch (ApiException refused) {
      check(refused.getCode() == 400 && refused.getResponseBody().contains("phone_number_invalid"), refused);
    }
    System.out.println("openapi-generator sent " + sent.getId());
  }

  private static void check(boolean holds, Object found) {
    if (!holds) throw new AssertionError(String.valueOf(found));
  }
}
