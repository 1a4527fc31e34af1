# frozen_string_literal: true

# app/controllers/webhooks_controller.rb, with `post "/webhooks/sms", to: "webhooks#create"` in config/routes.rb.

require "massivesms"

# Answers 204 to what is signed, and 400 to anything else.
class WebhooksController < ActionController::API
  def create
    event = MassiveSMS::Webhooks.construct_event(
      request.raw_post, request.headers["MSVS-Signature"], ENV.fetch("MASSIVESMS_WEBHOOK_SECRET")
    )
    # The same event may come again: remember its id. Do long work in a job, and answer within 10 seconds.
    Rails.logger.info("#{event.type} #{event.id}")
    head :no_content
  rescue MassiveSMS::SignatureVerificationError => e
    render plain: e.message, status: :bad_request
  end
end
