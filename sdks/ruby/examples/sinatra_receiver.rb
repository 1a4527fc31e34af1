# frozen_string_literal: true

# Takes webhooks with Sinatra: MASSIVESMS_WEBHOOK_SECRET=whsec_… ruby examples/sinatra_receiver.rb

require "massivesms"
require "sinatra/base"

# Answers 204 to what is signed, and 400 to anything else.
class Receiver < Sinatra::Base
  post "/webhooks/sms" do
    event = MassiveSMS::Webhooks.construct_event(
      request.body.read, request.env["HTTP_MSVS_SIGNATURE"], ENV.fetch("MASSIVESMS_WEBHOOK_SECRET")
    )
    # The same event may come again: remember its id. Do long work elsewhere, and answer within 10 seconds.
    logger.info("#{event.type} #{event.id}")
    204
  rescue MassiveSMS::SignatureVerificationError => e
    halt 400, e.message
  end

  run! if app_file == $PROGRAM_NAME
end
