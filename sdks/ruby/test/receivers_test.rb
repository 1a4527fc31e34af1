# frozen_string_literal: true

require_relative "helper"

# The examples of receivers, where their frameworks are installed.
class ReceiversTest < Minitest::Test
  PAYLOAD = '{"id": "evt_1", "type": "test.ping", "data": {"id": "whk_1"}}'
  SECRET = "whsec_x"

  def setup = ENV["MASSIVESMS_WEBHOOK_SECRET"] = SECRET

  def teardown = ENV.delete("MASSIVESMS_WEBHOOK_SECRET")

  def test_sinatra
    need "sinatra/base", "rack/mock"
    require_relative "../examples/sinatra_receiver"
    app = Rack::MockRequest.new(Receiver.set(:environment, :production).set(:logging, false).new)
    assert_receiver { |body, header| app.post("/webhooks/sms", input: body, "HTTP_MSVS_SIGNATURE" => header).status }
  end

  def test_rails
    need "action_controller/railtie", "rack/mock"
    require_relative "../examples/rails_receiver"
    app = Class.new(Rails::Application) do
      config.eager_load = false
      config.secret_key_base = "x"
      config.hosts.clear
      config.logger = Logger.new(File::NULL)
    end
    app.initialize!
    app.routes.draw { post "/webhooks/sms", to: "webhooks#create" }
    browser = Rack::MockRequest.new(app)
    assert_receiver do |body, header|
      browser.post("/webhooks/sms", :input => body, "CONTENT_TYPE" => "application/json", "HTTP_MSVS_SIGNATURE" => header).status
    end
  end

  private

  def need(*libraries)
    libraries.each { |each| require each }
  rescue LoadError
    skip "#{libraries.first} is not installed"
  end

  def assert_receiver
    header = MassiveSMS::Testing.sign(PAYLOAD, SECRET)

    assert_equal [204, 400, 400], [yield(PAYLOAD, header), yield("#{PAYLOAD} ", header), yield(PAYLOAD, "")]
  end
end
