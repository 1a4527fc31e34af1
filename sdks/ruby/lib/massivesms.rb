# frozen_string_literal: true

# MassiveSMS: send SMS, manage contacts and campaigns, and verify webhooks.
module MassiveSMS
  # What a parameter is that was left out: nil is a value of its own.
  UNSET = Object.new
  def UNSET.inspect = "MassiveSMS::UNSET"
  UNSET.freeze

  autoload :VERSION, "massivesms/version"
  autoload :Client, "massivesms/client"
  autoload :Page, "massivesms/page"
  autoload :Model, "massivesms/model"
  autoload :Resource, "massivesms/resource"
  autoload :Resources, "massivesms/resources"
  autoload :NetHTTPTransport, "massivesms/transport"
  autoload :Request, "massivesms/transport"
  autoload :Response, "massivesms/transport"
  autoload :Webhooks, "massivesms/webhooks"
  autoload :Testing, "massivesms/testing"

  %i[Error ConfigurationError APIConnectionError APITimeoutError InvalidResponseError APIStatusError ServerError
     AuthenticationError PermissionDeniedError ComplianceError ConflictError IdempotencyError InvalidRequestError
     PaymentRequiredError RateLimitError SignatureVerificationError].each { |name| autoload name, "massivesms/errors" }
end

require "massivesms/models_index"
