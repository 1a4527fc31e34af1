import java.util.List;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.MessagesApi;
import org.openapitools.client.api.WebhooksApi;
import org.openapitools.client.model.Message;
import org.openapitools.client.model.MessageCreate;
import org.openapitools.client.model.Webhook;
import org.openapitools.client.model.WebhookCreate;

/** Sends a message and creates a webhook through openapi-generator's client: Run BASE_URL, the key in API_KEY. */
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
